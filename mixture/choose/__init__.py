"""Pure mathematics of a decision: who is asked, what answers tell, when to stop."""
