"""What another way of choosing would have brought on served traffic: off policy, beside it as a shadow, or on a share of it as a canary."""
