"""The service: exported ONNX models over HTTP."""
