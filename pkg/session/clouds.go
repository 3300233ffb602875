package session

import (
	"fmt"
	"maps"
	"slices"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
)

// CloudConfig is a cloud with other addresses.
type CloudConfig struct {
	// Base is the cloud of Microsoft's that it resembles. Empty: global.
	Base string `yaml:"base"`
	// AuthorityURL and GraphURL replace those of Base. Graph may be http on loopback.
	AuthorityURL string `yaml:"authority_url"`
	GraphURL     string `yaml:"graph_url"`
	// CAFile is a PEM bundle to trust beside the system's.
	CAFile string `yaml:"ca_file"`
}

// Clouds are clouds beside Microsoft's, by the name that integrations give: simulators and proxies.
type Clouds map[string]CloudConfig

// Check names every fault by its key, under clouds.
func (c Clouds) Check(p *config.Problems) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		_, taken := entra.CloudByName(name)
		p.Check(!taken, "clouds."+name, "is a cloud of Microsoft's")
		own := c[name]
		if _, known := entra.CloudByName(own.Base); !known {
			p.Add("clouds."+name+".base", "must be a cloud of Microsoft's")
			continue
		}
		_, err := entra.NewEndpoints(own.Base, entra.Overrides{AuthorityURL: own.AuthorityURL})
		p.Check(err == nil, "clouds."+name+".authority_url", "must be https://host[:port]")
		_, err = entra.NewEndpoints(own.Base, entra.Overrides{GraphURL: own.GraphURL})
		p.Check(err == nil, "clouds."+name+".graph_url", "must be https://host[:port], or http on loopback")
	}
}

// Endpoints returns where a cloud is; what Clouds does not name is asked of others, unless that is nil, and else is one of
// Microsoft's. CA files are read each time: they may be made later than the service. It fails with ErrCloud if one cannot
// be read, and with another error for a cloud that nobody knows.
func (c Clouds) Endpoints(cloud string, others func(name string) (CloudConfig, bool)) (entra.Endpoints, error) {
	own, ok := c[cloud]
	if !ok && others != nil {
		own, ok = others(cloud)
	}
	if !ok {
		return entra.NewEndpoints(cloud, entra.Overrides{})
	}
	e, err := entra.NewEndpoints(own.Base, entra.Overrides{AuthorityURL: own.AuthorityURL, GraphURL: own.GraphURL, CAFile: own.CAFile})
	if err != nil {
		return entra.Endpoints{}, fmt.Errorf("cloud %s: %w: %w", cloud, ErrCloud, err)
	}
	return e, nil
}
