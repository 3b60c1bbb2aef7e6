"""From a request to whom it may be answered by, and why: scores, prices, certificate, what was learnt, what is unlike anything labelled."""
