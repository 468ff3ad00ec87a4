"""From an AWS key to a certificate on disk, and back: the only package that knows boto3."""
