"""PyTorch: several processes, each with its own device, by DistributedDataParallel.

    torchrun --standalone --nproc-per-node 2 examples/devices/torch_ddp.py

On the CPU the processes talk by gloo, on GPUs by NCCL.
"""

import os

import torch
import torch.distributed as dist
import torch.distributed.nn  # before the group begins: its functions keep one that they find
from digits import digits, heaviside
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def train():
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    torch.manual_seed(0)
    layers = [torch.nn.Linear(64, 64), heaviside.module(), torch.nn.Linear(64, 64)]
    network = torch.nn.Sequential(*layers, heaviside.module(), torch.nn.Linear(64, 10)).to(device)
    first = [p.detach().clone() for p in network.parameters()]
    model = DistributedDataParallel(network, device_ids=[device.index] if cuda else None)

    x, t, x_test, t_test = (torch.from_numpy(array) for array in digits())
    data = TensorDataset(x, t)
    sampler = DistributedSampler(data, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(20):
        sampler.set_epoch(epoch)
        for images, labels in DataLoader(data, batch_size=32, sampler=sampler):  # for each process
            optimizer.zero_grad()
            answers = model(images.to(device))
            torch.nn.functional.cross_entropy(answers, labels.to(device)).backward()
            optimizer.step()

    for parameter, before in zip(network.parameters(), first, strict=True):
        mine = parameter.detach()
        replicas = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(replicas, mine)
        assert all(torch.equal(mine, other) for other in replicas)
        assert not torch.equal(mine, before), "a weight has not learnt"
    if dist.get_rank() == 0:
        with torch.no_grad():
            answers = network(x_test.to(device)).argmax(1).cpu()
        accuracy = (answers == t_test).float().mean()
        count = dist.get_world_size()
        print(f"{count} devices, replicas equal, test accuracy {accuracy:.3f}")


def main():
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    train()  # a model that is still there would keep the group's threads
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
