"""The Open Inference Protocol, version 2, over HTTP: the models as clients of other inference servers call them.

https://github.com/kserve/open-inference-protocol and, for binary tensors, statistics, configuration and the index of models,
the extensions of Triton: https://github.com/triton-inference-server/server/tree/main/docs/protocol.

The routes are Starlette's, because BentoML's have no parameters in their paths.
"""
