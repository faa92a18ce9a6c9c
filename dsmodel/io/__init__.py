"""Text in, text out: what a cluster's dump says becomes a `Cluster`, and nothing it says is dropped unseen.

Readers take what people have in hand (``kubectl get … -o json``, a folder of such files, gzip, YAML, stdin) and
return a cluster whose findings name every object that could not be used. Import from the module that owns a name:
`dsmodel.io.kubectl.read_cluster`, `dsmodel.io.samples.sample_path`.
"""
