package entraflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// kindPrefix begins the names of the directory's kinds in a summary.
const kindPrefix = "directory."

// kindOf is the kind of object that directorysync makes of a collection; empty for what it does not read, and for
// eligible and scheduled roles, which the guide's permissions do not open.
func kindOf(c tenant.Collection) string {
	return map[tenant.Collection]string{
		tenant.Users: "user", tenant.Groups: "group", tenant.Devices: "device",
		tenant.Applications: "application", tenant.ServicePrincipals: "service_principal",
		tenant.OAuth2PermissionGrants: "oauth2_grant",
		tenant.RoleDefinitions:        "role_definition", tenant.RoleAssignments: "role_assignment",
		tenant.AccessPolicies: "conditional_access_policy", tenant.NamedLocations: "named_location",
		// Each of these is one object, and all are of one kind.
		tenant.SecurityDefaults: "policy", tenant.AuthorizationPolicies: "policy", tenant.MethodsPolicies: "policy",
		tenant.CrossTenantDefaults: "policy",
		tenant.CrossTenantPartners: "cross_tenant_partner", tenant.Strengths: "authentication_strength",
		tenant.Organizations: "organization", tenant.SubscribedSkus: "subscribed_sku", tenant.Domains: "domain",
		tenant.ManagedDevices: "managed_device", tenant.DeviceConfigurations: "device_configuration",
		tenant.CompliancePolicies: "compliance_policy", tenant.MobileApps: "mobile_app", tenant.DetectedApps: "detected_app",
	}[c]
}

// link is a relation that is counted.
type link struct {
	from     tenant.Collection
	relation tenant.Relation
	// name is that in a summary, count asks the store for it.
	name, count string
}

func links() []link {
	owners := func(kind string) string {
		return "SELECT sum(length(`owners.id`)) FROM " + tables.OwnersCurrent + " FINAL WHERE tenant_id = {tenant:String} AND NOT deleted AND owned_object = '" + kind + "'"
	}
	return []link{
		// A member may be in two shards while they are split.
		{tenant.Groups, tenant.Members, "membership", "SELECT uniqExact(group_id, member) FROM " + tables.GroupMembersCurrent +
			" FINAL ARRAY JOIN `members.id` AS member WHERE tenant_id = {tenant:String} AND NOT deleted AND group_id IN (SELECT id FROM " +
			tables.GroupsCurrent + " FINAL WHERE tenant_id = {tenant:String} AND NOT deleted)"},
		{tenant.Groups, tenant.Owners, "group_owner", "SELECT sum(length(`owners.id`)) FROM " + tables.GroupsCurrent +
			" FINAL WHERE tenant_id = {tenant:String} AND NOT deleted"},
		{tenant.Applications, tenant.Owners, "application_owner", owners("application")},
		{tenant.ServicePrincipals, tenant.Owners, "service_principal_owner", owners("service_principal")},
	}
}

// directoryTruth counts what Graph shows of a simulated directory, by the names of a summary. What there is none of has no name.
func directoryTruth(d *entra.Directory, now time.Time) (map[string]uint64, error) {
	truth := map[string]uint64{}
	counts := d.Counts()
	for _, c := range tenant.Collections() {
		add(truth, kindOf(c), counts[string(c)])
	}
	for _, l := range links() {
		counter := &linkCounter{relation: string(l.relation)}
		if err := d.WriteTruth(counter, l.from, now); err != nil {
			return nil, fmt.Errorf("counting the simulated directory: %w", err)
		}
		add(truth, l.name, counter.count)
	}
	return truth, nil
}

// add adds to a count, if it has a name and is any.
func add(counts map[string]uint64, name string, count uint64) {
	if name != "" && count > 0 {
		counts[kindPrefix+name] += count
	}
}

// linkCounter counts the links of a relation in the lines of a truth, as Graph lists them: those to what is soft-deleted
// are there and not shown.
type linkCounter struct {
	relation string
	count    uint64
	rest     []byte // the beginning of a line
}

// Write implements io.Writer.
func (c *linkCounter) Write(p []byte) (int, error) {
	c.rest = append(c.rest, p...)
	for {
		line, rest, whole := bytes.Cut(c.rest, []byte{'\n'})
		if !whole {
			return len(p), nil
		}
		if err := c.line(line); err != nil {
			return 0, err
		}
		c.rest = rest
	}
}

func (c *linkCounter) line(text []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return fmt.Errorf("reading a line of the truth: %w", err)
	}
	var all []struct {
		Deleted bool `json:"deleted"`
	}
	if err := json.Unmarshal(object[c.relation], &all); err != nil {
		return fmt.Errorf("reading %s of the truth: %w", c.relation, err)
	}
	for _, one := range all {
		if !one.Deleted {
			c.count++
		}
	}
	return nil
}

// storedDirectory counts what the store has of a tenant's directory, by the same names.
func storedDirectory(ctx context.Context, conn driver.Conn, tenantID string) (map[string]uint64, error) {
	counted := map[string]bool{}
	for _, c := range tenant.Collections() {
		counted[kindOf(c)] = true
	}
	stored := map[string]uint64{}
	for _, table := range tables.NewDirectory().All() {
		if table.Name() == tables.DirectoryHistory {
			continue
		}
		err := countRows(ctx, conn, stored, counted,
			"SELECT object, count() FROM "+table.Name()+" FINAL WHERE tenant_id = {tenant:String} AND NOT deleted GROUP BY object", tenantID)
		if err != nil {
			return nil, fmt.Errorf("counting %s: %w", table.Name(), err)
		}
	}
	for _, l := range links() {
		var count uint64
		if err := conn.QueryRow(ctx, l.count, clickhouse.Named("tenant", tenantID)).Scan(&count); err != nil {
			return nil, fmt.Errorf("counting %s: %w", l.name, err)
		}
		add(stored, l.name, count)
	}
	return stored, nil
}

// countRows adds the rows of a query, a kind and its count each, of the kinds that are counted.
func countRows(ctx context.Context, conn driver.Conn, into map[string]uint64, counted map[string]bool, query string, tenantID string) (err error) {
	rows, err := conn.Query(ctx, query, clickhouse.Named("tenant", tenantID))
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		var kind string
		var count uint64
		if err := rows.Scan(&kind, &count); err != nil {
			return err
		}
		if counted[kind] {
			add(into, kind, count)
		}
	}
	return rows.Err()
}
