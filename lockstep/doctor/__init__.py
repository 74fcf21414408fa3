"""`lockstep doctor`: is what stands what was derived? Cluster, AWS and files, read and never changed.

One module per noun: what is looked at (`cluster_objects`, `aws_reader`), what it is held against (`expected`,
`compatibility`), the checks (`driver_checks`, `provider_checks`, `server_checks`, `app_checks`, `role_checks`,
`object_checks`, `eks_checks`, `endpoint_checks`), one verdict per check (`verdicts`), the order of all
(`examination`) and what is printed (`report`).
"""
