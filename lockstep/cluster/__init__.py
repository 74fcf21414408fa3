"""A cluster as a user of kubectl sees it: kubeconfig, credential plugins, and a small client of the Kubernetes API.

No Kubernetes client of the registry is used: the official one brings 23 packages and takes over a second of CPU to
import; the light ones leave out parts of kubeconfig that users have (several files, plugins of `v1`). What is needed
here is GET, and one PATCH, over the urllib3 that is there anyway.
"""
