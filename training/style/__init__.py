"""Style transfer: config, network, losses, training, slow painting, evaluation, export and report."""
