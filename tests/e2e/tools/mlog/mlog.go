// Package mlog stands in for the logging module that the CSI driver imports under this name, which not every module
// proxy serves. It passes the driver's few calls on to klog, which the driver logs with everywhere else; flags and
// verbosity are klog's, so nothing but the form of the lines differs. The driver itself is built as it was released.
package mlog

import (
	"context"
	"os"

	"k8s.io/klog/v2"
)

// LogFormat names a format; klog writes text whatever it is.
type LogFormat string

// Formats that the driver's flag chooses from.
const (
	FormatText LogFormat = "text"
	FormatJSON LogFormat = "json"
)

// Setup returns what flushes the log at the end of the program.
func Setup() func() { return klog.Flush }

// ValidateAndSetKlogLevelAndFormatGlobally accepts what klog's own flags have set already.
func ValidateAndSetKlogLevelAndFormatGlobally(context.Context, klog.Level, LogFormat) error { return nil }

// Error writes one line.
func Error(message string, err error) { klog.ErrorS(err, message) }

// Fatal writes one line and ends the program with status 1.
func Fatal(err error) {
	klog.ErrorS(err, "fatal")
	klog.Flush()
	os.Exit(1)
}
