// Package ports lets Consul's command line compile without the published
// troubleshoot module, which no longer fits it. The commands report nothing.
package ports

// TroubleshootDefaultPorts does nothing.
func TroubleshootDefaultPorts(string) {}

// TroubleShootCustomPorts does nothing.
func TroubleShootCustomPorts(string, string) {}
