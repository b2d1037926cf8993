"""What a GAN run shows to people: plots, a walk through latent space, nearest neighbours, and one page with all of it."""
