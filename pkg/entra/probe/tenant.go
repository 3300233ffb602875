package probe

import (
	"context"
	"encoding/json"
	"net/url"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// organization reads the tenant's name and domain. They are nice to have: without them nothing fails.
func (p *probe) organization(ctx context.Context) {
	var said struct {
		Value []struct {
			ID              string `json:"id"`
			DisplayName     string `json:"displayName"`
			VerifiedDomains []struct {
				Name      string `json:"name"`
				IsDefault bool   `json:"isDefault"`
				IsInitial bool   `json:"isInitial"`
			} `json:"verifiedDomains"`
		} `json:"value"`
	}
	query := url.Values{"$select": {"id,displayName,verifiedDomains"}}
	if !p.read(ctx, "/v1.0/organization", query, 1, &said) || len(said.Value) == 0 {
		return
	}
	tenant := said.Value[0]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.TenantName = tenant.DisplayName
	if p.report.TenantID == "" {
		p.report.TenantID = tenant.ID
	}
	for _, domain := range tenant.VerifiedDomains {
		if domain.IsDefault || p.report.VerifiedDomain == "" {
			p.report.VerifiedDomain = domain.Name
		}
	}
}

// licences reads what the tenant has bought: the service plans of its subscriptions that are in force.
func (p *probe) licences(ctx context.Context) {
	var said struct {
		Value []struct {
			CapabilityStatus string `json:"capabilityStatus"`
			ServicePlans     []struct {
				Name   string `json:"servicePlanName"`
				Status string `json:"provisioningStatus"`
			} `json:"servicePlans"`
		} `json:"value"`
	}
	const units = 3
	if !p.read(ctx, "/v1.0/subscribedSkus", nil, units, &said) {
		return
	}
	plans := map[string]bool{}
	for _, sku := range said.Value {
		// Warning is the grace period after the end.
		if sku.CapabilityStatus != "" && sku.CapabilityStatus != "Enabled" && sku.CapabilityStatus != "Warning" {
			continue
		}
		for _, plan := range sku.ServicePlans {
			if plan.Status != "Disabled" {
				plans[plan.Name] = true
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.LicencesKnown = true
	p.report.Licences = licencesOf(plans)
}

func licencesOf(plans map[string]bool) []entra.Licence {
	var found []entra.Licence
	if plans["AAD_PREMIUM"] || plans["AAD_PREMIUM_P2"] {
		found = append(found, entra.LicenceP1)
	}
	if plans["AAD_PREMIUM_P2"] {
		found = append(found, entra.LicenceP2)
	}
	if plans["INTUNE_A"] {
		found = append(found, entra.LicenceIntune)
	}
	return found
}

// read reads a small answer into value and reports whether it could.
func (p *probe) read(ctx context.Context, path string, query url.Values, units int, value any) bool {
	resp, err := p.client.Get(ctx, entra.Request{Path: path, Query: query, Class: budget.Interactive, Units: units})
	if err != nil {
		return false
	}
	p.noteDate(resp.Date)
	return json.Unmarshal(resp.Body, value) == nil
}
