"""The retrieval server: an index behind HTTP, for trainers that search over the network."""
