"""The contract of SWF's activity half, as a bounded run against any endpoint that cleans up after
itself: for the local SWF in our tests, and for whoever has an AWS account.

    python -m swf_worker.local.conformance --domain D [--region R] [--endpoint-url URL] [--yes]

It prints what the service said. Against AWS it asks before it creates anything. Exit code 0: as
expected; 1: something differs; 2: usage, or nobody said yes.
"""
