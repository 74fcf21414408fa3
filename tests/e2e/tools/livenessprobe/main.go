// Command livenessprobe stands in for the sidecar of this name in the CSI driver's DaemonSet, which not every module proxy
// serves. It understands the arguments that the chart gives: /healthz answers 200 when the driver answers a Probe.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	flag.Int("v", 0, "verbosity; taken and not used")
	driver := flag.String("csi-address", "/csi/csi.sock", "socket of the driver")
	limit := flag.Duration("probe-timeout", time.Second, "time limit of one probe")
	address := flag.String("http-endpoint", ":9808", "host:port of /healthz")
	flag.Parse()

	connection, err := grpc.NewClient("unix://"+*driver, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client := csi.NewIdentityClient(connection)
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, request *http.Request) {
		ctx, cancel := context.WithTimeout(request.Context(), *limit)
		defer cancel()
		probe, err := client.Probe(ctx, &csi.ProbeRequest{})
		switch {
		case err != nil:
			http.Error(answer, err.Error(), http.StatusInternalServerError)
		case probe.Ready != nil && !probe.Ready.Value:
			http.Error(answer, "the driver is not ready", http.StatusInternalServerError)
		default:
			_, _ = answer.Write([]byte("ok"))
		}
	})
	log.Fatal(http.ListenAndServe(*address, nil))
}
