"""A run as a page: plots, samples, walk and nearest neighbours."""
