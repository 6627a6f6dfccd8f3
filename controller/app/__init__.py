"""Composition root: puts the parts of one process together; knows every concrete class.

`look` looks at one cluster once, `process` runs for as long as it is let, `reach` is how either
gets to a cluster, and `world` puts a simulated cluster on the network.
"""
