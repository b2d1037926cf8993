"""The architectures of generators and discriminators, one file each."""
