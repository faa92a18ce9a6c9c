"""Arithmetic over a cluster: what binds, how far it grows.

Promises plain records of numbers with their cause. Knows `Cluster` and its pools; never a graph, a file or a frame for
display.
"""
