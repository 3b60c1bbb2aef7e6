"""What happened: records of served decisions, drift, mispredictions, the verdict."""
