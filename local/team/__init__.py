"""A team's ground on one machine: PostgreSQL, S3 and two servers behind haproxy, all of them real processes."""
