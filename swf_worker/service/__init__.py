"""SWF over boto3: the only folder that knows boto3, botocore and tenacity."""
