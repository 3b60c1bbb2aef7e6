"""What routing saved, net, and what quality was given up."""
