// Pulumi's Kubernetes provider, from its Go module. The module's own program embeds files that its zip lacks, so the
// main function is ours: the schema is read where objects are imported and for programs in YAML, the mapping for Terraform.
package main

import "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"

// The module's commit follows release 4.24; its releases carry no tag that Go understands.
const version = "4.24.1-dev.20260115"

func main() {
	provider.Serve("kubernetes", version, []byte(`{"name":"kubernetes","version":"`+version+`"}`), []byte("{}"))
}
