package tenant

import (
	"regexp"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// Licence is what the tenant has bought of Microsoft Entra ID.
type Licence string

// The licences of Microsoft Entra ID.
const (
	Free Licence = "free"
	P1   Licence = "p1"
	P2   Licence = "p2"
)

// Bounds of a Config.
const (
	maxUsers = 10_000_000
	maxDays  = 3650
	// maxGroups bounds Groups, maxDevices DevicesPerUser.
	maxGroups  = 1_000_000
	maxDevices = 2
	// minUsersForIncidents is how many users the woven incidents need.
	minUsersForIncidents = 100
	// maxDelay is the longest a record stays invisible (graph.md §2).
	maxDelay = 3 * time.Hour
	// maxRate bounds each rate and their scale.
	maxRate = 1_000_000
	// maxPerSecond bounds the records of one log within the shortest slot.
	maxPerSecond = 5000
)

// Config describes a tenant. Equal Configs make equal tenants, byte by byte. Two Configs that
// differ in Licence or Intune alone make the same records, but for the risk fields.
type Config struct {
	// ID is the directory id, a GUID in lower case. Derived from Seed if empty.
	ID string `yaml:"id"`
	// ClientID is the application id of the integration's own application, a GUID in lower case.
	// Derived from Seed if empty.
	ClientID string `yaml:"client_id"`
	// Seed chooses the tenant.
	Seed uint64 `yaml:"seed"`
	// Users is how many users there are, members and guests together: 1 to 10,000,000, and 100
	// or more with Incidents.
	Users int `yaml:"users"`
	// Days is how many days of history there are before End: 1 to 3650.
	Days int `yaml:"days"`
	// End is "now" at the tenant's creation: the history is [End - Days, End), and after End the
	// tenant goes on living at the same rates. Cut to seconds. Required.
	End time.Time `yaml:"end"`
	// Stop ends the tenant's life: nothing happens from then on. Zero: it lives on.
	Stop time.Time `yaml:"stop"`
	// Licence is Free, P1 or P2. Without P2 the risk fields of sign-ins are "hidden".
	Licence Licence `yaml:"licence"`
	// Intune says whether the tenant has Microsoft Intune.
	Intune bool `yaml:"intune"`
	// Rates are the mean numbers of events for each user and day.
	Rates Rates `yaml:"rates"`
	// Scale multiplies all Rates: 0 to 1,000,000.
	Scale float64 `yaml:"scale"`
	// Counts overrides the rate of a log, by its name: exactly so many ordinary records within
	// the history (without the records that incidents add). The rate goes on after End.
	Counts map[string]uint64 `yaml:"counts"`
	// Late says which records become visible late or change later.
	Late Late `yaml:"late"`
	// Incidents says whether labelled incidents are woven in.
	Incidents bool `yaml:"incidents"`
	// Groups is how many groups there are, up to 1,000,000; 0 is a twentieth of Users, 12 at least.
	Groups int `yaml:"groups"`
	// MembersPerGroup gives each group exactly so many users and nothing else, up to Users; 0 is groups of all sorts.
	MembersPerGroup int `yaml:"members_per_group"`
	// HugeGroupMembers is how many users the last group has, up to Users; 0 is as many as any other has.
	HugeGroupMembers int `yaml:"huge_group_members"`
	// DevicesPerUser is how many devices a member has: 0, 1 (a computer) or 2 (and a phone).
	DevicesPerUser int `yaml:"devices_per_user"`
}

// Rates are mean numbers of events for each user and day, before Scale: 0 to 1,000,000.
type Rates struct {
	Interactive      float64 `yaml:"interactive"`
	NonInteractive   float64 `yaml:"non_interactive"`
	ServicePrincipal float64 `yaml:"service_principal"`
	ManagedIdentity  float64 `yaml:"managed_identity"`
	Audits           float64 `yaml:"audits"`
	Provisioning     float64 `yaml:"provisioning"`
	RiskDetections   float64 `yaml:"risk_detections"`
	RiskyUsers       float64 `yaml:"risky_users"`
}

// Late says which records become visible late, and which change after they were first visible.
type Late struct {
	// Share of the records that are late, 0 to 1.
	Share float64 `yaml:"share"`
	// Max is the longest delay between a record's time and its visibility: up to 3 h.
	Max time.Duration `yaml:"max"`
	// Changing is the share of sign-ins and risk detections whose risk state or Conditional
	// Access results change within a day, 0 to 1.
	Changing float64 `yaml:"changing"`
}

// DefaultConfig returns a tenant of 2,000 users with 30 days, P2 and Intune, nothing late.
// End is not set.
func DefaultConfig() Config {
	return Config{
		Users: 2000, Days: 30, Licence: P2, Intune: true, Scale: 1, Incidents: true, DevicesPerUser: maxDevices,
		Rates: Rates{
			Interactive: 2, NonInteractive: 6, ServicePrincipal: 1, ManagedIdentity: 0.5,
			Audits: 0.4, Provisioning: 0.1, RiskDetections: 0.003, RiskyUsers: 0.002,
		},
		Late: Late{Max: maxDelay},
	}
}

var guidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Validate returns every fault by its key, as the error of a config.Problems.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.ID == "" || guidForm.MatchString(c.ID), "id", "must be a GUID in lower case")
	p.Check(c.ClientID == "" || guidForm.MatchString(c.ClientID), "client_id", "must be a GUID in lower case")
	p.Check(c.Users >= 1 && c.Users <= maxUsers, "users", "must be between 1 and 10000000")
	p.Check(!c.Incidents || c.Users >= minUsersForIncidents, "users", "must be at least 100 with incidents")
	p.Check(c.Days >= 1 && c.Days <= maxDays, "days", "must be between 1 and 3650")
	const firstYear, lastYear = 2000, 2200
	p.Check(c.End.Year() >= firstYear && c.End.Year() <= lastYear, "end", "must be set, between 2000 and 2200")
	p.Check(c.Licence == Free || c.Licence == P1 || c.Licence == P2, "licence", "must be free, p1 or p2")
	p.Check(c.Groups >= 0 && c.Groups <= maxGroups, "groups", "must be between 0 and 1000000")
	p.Check(c.MembersPerGroup >= 0 && c.MembersPerGroup <= c.Users, "members_per_group", "must be between 0 and users")
	p.Check(c.HugeGroupMembers >= 0 && c.HugeGroupMembers <= c.Users, "huge_group_members", "must be between 0 and users")
	p.Check(c.DevicesPerUser >= 0 && c.DevicesPerUser <= maxDevices, "devices_per_user", "must be between 0 and 2")
	p.Check(c.Scale >= 0 && c.Scale <= maxRate, "scale", "must be between 0 and 1000000")
	p.Under("rates", c.Rates.validate())
	p.Under("late", c.Late.validate())
	for name := range c.Counts {
		p.Check(logIndex(name) >= 0, "counts", "has no log %q", name)
	}
	if p.Err() == nil {
		c.checkDensity(&p)
	}
	return p.Err()
}

func (r Rates) validate() error {
	var p config.Problems
	for i, rate := range r.list() {
		p.Check(rate >= 0 && rate <= maxRate, rateKeys()[i], "must be between 0 and 1000000")
	}
	return p.Err()
}

func (l Late) validate() error {
	var p config.Problems
	p.Check(l.Share >= 0 && l.Share <= 1, "share", "must be between 0 and 1")
	p.Check(l.Changing >= 0 && l.Changing <= 1, "changing", "must be between 0 and 1")
	p.Check(l.Max >= 0 && l.Max <= maxDelay, "max", "must be between 0 and 3h")
	return p.Err()
}

// checkDensity refuses more records than a slot may hold.
func (c Config) checkDensity(p *config.Problems) {
	for i, name := range Logs() {
		perSecond := float64(c.total(i)) / (float64(c.Days) * 86400)
		p.Check(perSecond <= maxPerSecond, "rates", "give more than %d records of %s a second", maxPerSecond, name)
	}
}

// total is how many ordinary records log i has within the history.
func (c Config) total(i int) uint64 {
	if n, ok := c.Counts[Logs()[i]]; ok {
		return n
	}
	return uint64(c.Rates.list()[i]*c.Scale*float64(c.Users)*float64(c.Days) + 0.5)
}

// list has the rates in the order of Logs.
func (r Rates) list() [logCount]float64 {
	return [logCount]float64{
		r.Interactive, r.NonInteractive, r.ServicePrincipal, r.ManagedIdentity,
		r.Audits, r.Provisioning, r.RiskDetections, r.RiskyUsers,
	}
}

func rateKeys() [logCount]string {
	return [logCount]string{
		"interactive", "non_interactive", "service_principal", "managed_identity",
		"audits", "provisioning", "risk_detections", "risky_users",
	}
}
