"""TensorFlow: native operations with the derivative in force, eager, in graphs, under XLA.

`binding` joins a value and its gradients by `tf.custom_gradient`, at run time and in a stand-alone file
alike; `rule` follows a program with it to any order.
"""
