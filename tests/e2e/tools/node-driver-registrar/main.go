// Command node-driver-registrar stands in for the sidecar of this name in the CSI driver's DaemonSet, which not every
// module proxy serves. It understands the arguments that the chart gives and does what kubelet needs: it asks the driver
// for its name and serves kubelet's plugin registration on a socket of that name.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const askSeconds = 30

type server struct {
	registration.UnimplementedRegistrationServer
	name, endpoint string
}

func (s *server) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type: registration.CSIPlugin, Name: s.name, Endpoint: s.endpoint, SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (s *server) NotifyRegistrationStatus(
	_ context.Context, status *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	log.Printf("kubelet registered %s: %t %s", s.name, status.PluginRegistered, status.Error)
	if !status.PluginRegistered {
		os.Exit(1)
	}
	return &registration.RegistrationStatusResponse{}, nil
}

func main() {
	flag.Int("v", 0, "verbosity; taken and not used")
	driver := flag.String("csi-address", "/csi/csi.sock", "socket of the driver, as this container sees it")
	endpoint := flag.String("kubelet-registration-path", "", "socket of the driver, as kubelet sees it")
	folder := flag.String("plugin-registration-path", "/registration", "where kubelet looks for plugins")
	flag.Parse()

	served := &server{name: askName(*driver), endpoint: *endpoint}
	path := filepath.Join(*folder, served.name+"-reg.sock")
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	registration.RegisterRegistrationServer(grpcServer, served)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		grpcServer.GracefulStop()
	}()
	log.Printf("serving %s", path)
	if err := grpcServer.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

func askName(socket string) string {
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), askSeconds*time.Second)
	defer cancel()
	info, err := csi.NewIdentityClient(connection).GetPluginInfo(ctx, &csi.GetPluginInfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		log.Fatal(err)
	}
	return info.Name
}
