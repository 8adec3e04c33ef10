// Package troubleshoot lets Consul's command line compile without the published
// troubleshoot module, which no longer fits it. Every command answers an error.
package troubleshoot

import (
	"errors"
	"net"
)

var errLeftOut = errors.New("consul troubleshoot is left out of this test build")

// Troubleshoot is never made.
type Troubleshoot struct{}

// UpstreamIP is an upstream that a proxy reaches by address.
type UpstreamIP struct {
	IPs          []string
	IsVirtual    bool
	ClusterNames map[string]struct{}
}

// Message is one finding.
type Message struct {
	Success         bool
	Message         string
	PossibleActions []string
}

// Messages are the findings of one run.
type Messages []Message

// Success tells whether every finding is good.
func (messages Messages) Success() bool {
	for _, message := range messages {
		if !message.Success {
			return false
		}
	}
	return true
}

// NewTroubleshoot always fails.
func NewTroubleshoot(*net.IPAddr, string) (*Troubleshoot, error) { return nil, errLeftOut }

// GetUpstreams always fails.
func (*Troubleshoot) GetUpstreams() ([]string, []UpstreamIP, error) { return nil, nil, errLeftOut }

// RunAllTests always fails.
func (*Troubleshoot) RunAllTests(string, string) (Messages, error) { return nil, errLeftOut }
