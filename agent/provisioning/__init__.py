"""Provisioning: from an AWS key to a certificate, and back; the only room that knows boto3."""
