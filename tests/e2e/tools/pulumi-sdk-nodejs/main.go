// Command pulumi-sdk-nodejs writes the TypeScript SDK of a package, as `pulumi package add` does: Pulumi's own generator,
// without the language plugin around it, which not every module proxy serves. Arguments: schema file, folder to write.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

func main() {
	document, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(document, &spec); err != nil {
		log.Fatal(err)
	}
	bound, problems, err := schema.BindSpec(spec, schema.NewNullLoader(), schema.ValidationOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if problems.HasErrors() {
		log.Fatal(problems)
	}
	files, err := nodejs.GeneratePackage("pulumi", bound, nil, nil, true, nil)
	if err != nil {
		log.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(os.Args[2], filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
