// Package probe is the health check of an Entra integration: a new credential, its token, the licences,
// and one small read for each data type.
//
// It reads Graph and changes nothing. Its report holds no token and no secret. A token proves nothing: the
// roles in it and the reads do (graph.md §1).
package probe

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// Timeout bounds a probe.
const Timeout = 30 * time.Second

// Settings of a probe.
type Settings struct {
	Credential entra.CredentialSpec
	Endpoints  entra.Endpoints
	// Budget is nil for no budget. Probes are Interactive. It draws under the credential's tenant and client id.
	Budget entra.Budget
	// Transport is the caller's to close; nil is one for this probe.
	Transport http.RoundTripper
	Clock     clock.Clock
	UserAgent string
	// DataTypes are what to ask for; nil is all.
	DataTypes []entra.DataType
	// Timeout bounds the whole; 0 is 30 s.
	Timeout time.Duration
}

// Availability says whether a data type can be read.
type Availability string

// Availabilities.
const (
	Available         Availability = "available"
	LicenceMissing    Availability = "licence_missing"
	PermissionMissing Availability = "permission_missing"
	ConsentMissing    Availability = "consent_missing"
	Failed            Availability = "error"
)

// DataTypeResult is the answer for a data type.
type DataTypeResult struct {
	ID           entra.DataType
	Title        string
	Availability Availability
	// Permission are those of which one is missing, the least privileged first; Licence is the missing one.
	Permission []string
	Licence    entra.Licence
	// Detail and Remedy are sentences; empty if it is available.
	Detail, Remedy string
	// Cause and Code are empty if it is available.
	Cause entra.Cause
	Code  string
}

// Report is what a probe found. What was not reached is empty.
type Report struct {
	// Connected says that a sign-in log or the directory's users can be read.
	Connected bool
	// Headline is "Connected!" or what is wrong in a few words.
	Headline string
	// TenantID is the directory's GUID, also if the spec gave a domain.
	TenantID, TenantName, VerifiedDomain string
	// Licences are P1, P2 and Intune as far as the tenant's service plans show; LicencesKnown is false if they
	// could not be read.
	Licences      []entra.Licence
	LicencesKnown bool
	// Roles are the consented application permissions, sorted.
	Roles     []string
	DataTypes []DataTypeResult
	Actions   []ActionResult
	// Error is the first that matters to the whole; nil if there was none.
	Error *entra.Error
	// Date is the server's clock, Skew how far it is ahead of this one's; zero if no answer came.
	Date time.Time
	Skew time.Duration
	Took time.Duration
}

// connectedHeadline is what the user waits for.
const connectedHeadline = "Connected!"

// Run checks an integration. It never fails: what went wrong is in the report. Every known data type asked for
// has a result, in the order of entra.DataTypes.
func Run(ctx context.Context, set Settings) Report {
	began := set.Clock.Now()
	if set.Timeout <= 0 {
		set.Timeout = Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, set.Timeout)
	defer cancel()
	if set.Transport == nil {
		own := set.Endpoints.Transport()
		defer own.CloseIdleConnections()
		set.Transport = own
	}
	p := &probe{set: set, types: wanted(set.DataTypes)}
	p.run(ctx)
	p.report.Took = set.Clock.Since(began)
	return p.report
}

func wanted(ids []entra.DataType) []entra.DataTypeInfo {
	all := entra.DataTypes()
	if ids == nil {
		return all
	}
	var some []entra.DataTypeInfo
	for _, d := range all {
		if slices.Contains(ids, d.ID) {
			some = append(some, d)
		}
	}
	return some
}

// probe is one run.
type probe struct {
	set    Settings
	client *entra.Client
	types  []entra.DataTypeInfo
	claims entra.Claims
	report Report

	mu sync.Mutex // guards what the reads find of the server's clock
}

func (p *probe) run(ctx context.Context) {
	if fault := p.open(ctx); fault != nil {
		p.report.Error, p.report.Headline = fault, fault.Cause.Headline()
		for _, d := range p.types {
			p.report.DataTypes = append(p.report.DataTypes, result(d, fault))
		}
		p.report.Actions = actions(nil, nil, false)
		return
	}
	defer p.client.Close()
	// The licences decide what a refusal means, so that they are read beside the data types and judged after.
	faults := make([]*entra.Error, len(p.types))
	var wg sync.WaitGroup
	wg.Go(func() { p.organization(ctx) })
	wg.Go(func() { p.licences(ctx) })
	for i, d := range p.types {
		wg.Go(func() { faults[i] = p.sample(ctx, d) })
	}
	wg.Wait()
	for i, d := range p.types {
		p.report.DataTypes = append(p.report.DataTypes, result(d, p.judge(d, faults[i])))
	}
	p.report.Actions = actions(p.report.Roles, p.report.Licences, p.report.LicencesKnown)
	p.conclude(faults)
}

// open gets a token of a new credential.
func (p *probe) open(ctx context.Context) *entra.Error {
	credential, err := entra.NewCredential(p.set.Credential, p.set.Endpoints, p.set.Transport)
	if err != nil {
		return entra.Classify(err)
	}
	const attempts, patience = 3, 10 * time.Second
	p.client, err = entra.NewClient(entra.ClientSettings{
		Credential: credential, Endpoints: p.set.Endpoints, Budget: p.set.Budget, Transport: p.set.Transport,
		Clock: p.set.Clock, UserAgent: p.set.UserAgent, Service: "probe",
		TenantID: p.set.Credential.TenantID, AppID: p.set.Credential.ClientID,
		MaxAttempts: attempts, MaxElapsed: patience, MaxTimeouts: 1,
	})
	if err != nil {
		return entra.Classify(err)
	}
	if p.claims, err = p.client.Claims(ctx); err != nil {
		return entra.Classify(err)
	}
	p.report.Roles = p.claims.Roles
	p.report.TenantID = p.claims.TenantID
	return nil
}

// sample reads one element of a data type; nil is success.
func (p *probe) sample(ctx context.Context, d entra.DataTypeInfo) *entra.Error {
	for {
		request := d.Sample(p.set.Clock.Now())
		request.Class = budget.Interactive
		resp, err := p.client.Get(ctx, request)
		if err == nil {
			p.noteDate(resp.Date)
			return nil
		}
		fault := entra.Classify(err)
		older, ok := d.Fallback()
		if !ok || fault.Cause != entra.CauseNotFound && fault.Cause != entra.CauseBadRequest {
			return fault
		}
		d = older
	}
}

func (p *probe) noteDate(date time.Time) {
	if date.IsZero() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Date, p.report.Skew = date, date.Sub(p.set.Clock.Now())
}

// conclude says the whole in a line.
func (p *probe) conclude(faults []*entra.Error) {
	reads := 0
	for _, r := range p.report.DataTypes {
		if r.Availability != Available {
			continue
		}
		reads++
		switch r.ID {
		case entra.SignInInteractive, entra.SignInNonInteractive, entra.SignInServicePrincipal, entra.SignInManagedIdentity, entra.Users:
			p.report.Connected = true
		default:
		}
	}
	for i := range faults {
		if fault := p.judge(p.types[i], faults[i]); fault != nil {
			p.report.Error = fault
			break
		}
	}
	switch {
	case p.report.Connected:
		p.report.Headline = connectedHeadline
	case reads > 0:
		p.report.Headline = "Neither sign-ins nor users can be read"
	case p.report.Error != nil:
		p.report.Headline = p.report.Error.Cause.Headline()
	default:
		p.report.Headline = "Nothing was asked for"
	}
}
