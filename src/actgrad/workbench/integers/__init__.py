"""`actgrad export` in integers: tables, C, files for Verilog, int8 models."""
