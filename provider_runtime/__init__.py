"""The CSI provider: a gRPC daemon that reads secrets from AWS for pods and hands them to the Secrets Store CSI driver.

It ships alone in its image and imports nothing else of this repository. Import direction inside, downward only:
daemon → adapters → mounting → ports → pure modules → errors, redaction. The pure modules (secret_objects, go_scalars,
json_paths, mount_request, fetch_plan, payload, object_versions) do no input or output, keep no state and read no clock.
Importing this package loads nothing.
"""
