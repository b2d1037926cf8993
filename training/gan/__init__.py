"""GANs: config, architectures, losses, training, evaluation, export and report."""
