"""`pulumi-resource-aws` for the tests: the embedded engine's AWS provider, against an emulator.

AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say where; without one it does not start.
"""

from __future__ import annotations

import os

from lockstep.engine import AwsProvider
from tests.pulumi_cli.provider_plugin import serve_provider

if __name__ == "__main__":
    serve_provider(
        "aws",
        AwsProvider(
            endpoint_url=os.environ["AWS_ENDPOINT_URL"],
            region=os.environ["AWS_REGION"],
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        ),
    )
