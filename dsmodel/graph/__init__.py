"""How traffic leaves a cluster, per address family.

Rules decide first, in the order in which the components apply them; only what they resolve becomes a graph. Families
are decided apart: every answer about a pod and a destination is a pair.

What it may know: errors, addresses, pools, kube, cni and cluster below it. It reads no files and draws nothing.
"""
