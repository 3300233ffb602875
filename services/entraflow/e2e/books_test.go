package e2e_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // ClickHouse has it too; nobody attacks a test
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
)

// tenant is the directory of the records sent; foreign is another one.
const (
	tenant  = "0b5d4e3c-0000-4000-8000-0000000e2e01"
	foreign = "0b5d4e3c-0000-4000-8000-0000000e2e02"
)

// record is one sign-in as Azure writes it into a hub.
type record struct {
	tenant string
	source string // its id
	raw    []byte
}

// signIn makes the record of sign-in n, about 1.1 KB, or size bytes if that is more. A higher revision is the same
// sign-in with another content. The times of some 200,000 of them lie on both sides of the end of a month, where
// the store begins another partition.
func signIn(tenant string, n, revision, size int) record {
	created := time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC).Add(time.Duration(n) * 50 * time.Millisecond)
	source := fmt.Sprintf("%08x-e2e0-4000-8000-%012x", n, n)
	raw := fmt.Sprintf(`{"time":"%[3]s","resourceId":"/tenants/%[1]s/providers/Microsoft.aadiam",`+
		`"operationName":"Sign-in activity","operationVersion":"1.0","category":"SignInLogs","tenantId":"%[1]s","resultType":"0",`+
		`"resultSignature":"None","durationMs":0,"callerIpAddress":"203.0.113.%[4]d","correlationId":"5a1f3f2e-0c0b-4b55-9a55-%012[2]d",`+
		`"identity":"Adele Vance","Level":4,"location":"DE","properties":{"id":"%[5]s",`+
		`"createdDateTime":"%[3]s","userDisplayName":"Adele Vance","userPrincipalName":"user%[6]d@contoso.example",`+
		`"userId":"0d5a4bdc-5bd3-4ec7-9a5c-%012[6]d","appId":"00000003-0000-0ff1-ce00-000000000000","appDisplayName":"Office 365 SharePoint Online",`+
		`"ipAddress":"203.0.113.%[4]d","status":{"errorCode":0,"additionalDetails":"MFA requirement satisfied by claim in the token"},`+
		`"clientAppUsed":"Browser","deviceDetail":{"deviceId":"","operatingSystem":"Windows 10","browser":"Edge 124.0.0"},`+
		`"location":{"city":"Berlin","state":"Berlin","countryOrRegion":"DE","geoCoordinates":{"latitude":52.5,"longitude":13.4}},`+
		`"isInteractive":true,"userType":"Member","riskLevelAggregated":"none","processingTimeInMilliseconds":%[7]d}}`,
		tenant, n, created.Format("2006-01-02T15:04:05.0000000Z"), n%200+1, source, n%5000, revision)
	if missing := size - len(raw); missing > 0 {
		raw = strings.Replace(raw, "Adele Vance", "Adele "+strings.Repeat("x", missing)+" Vance", 1)
	}
	return record{tenant: tenant, source: source, raw: []byte(raw)}
}

// message puts records together as Azure does.
func message(records ...record) []byte {
	raws := make([][]byte, len(records))
	for i, r := range records {
		raws[i] = r.raw
	}
	return append(append([]byte(`{"records":[`), bytes.Join(raws, []byte(","))...), `]}`...)
}

// fact is what the store must hold of an id.
type fact struct {
	version uint64
	sum     [md5.Size]byte // of the raw bytes
}

// books say what was sent. They are safe for concurrent use.
type books struct {
	mu    sync.Mutex
	facts map[string]fact
	sent  int // records, repeated ids too
}

func newBooks() *books { return &books{facts: map[string]fact{}} }

// enter notes records of one message where the hub put them; the first is the message's indexth. Of an id the
// greatest version counts.
func (b *books) enter(at receipt, index int, records ...record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, r := range records {
		id := bus.EventID(r.tenant, "signin", r.source, nil)
		next := fact{
			version: bus.Version(true, at.EnqueuedAt, at.Partition, at.Sequence, index+i),
			sum:     md5.Sum(r.raw), //nolint:gosec // see the import
		}
		if next.version > b.facts[id].version {
			b.facts[id] = next
		}
		b.sent++
	}
}

// totals are the numbers of ids and of records.
func (b *books) totals() (ids, records int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.facts), b.sent
}

// compare returns how what is stored differs from what was sent; nil if it does not.
func (b *books) compare(stored map[string]fact) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var missing, older, damaged, foreign []string
	for id, want := range b.facts {
		switch got, ok := stored[id]; {
		case !ok:
			missing = append(missing, id)
		case got.version != want.version:
			older = append(older, fmt.Sprintf("%s: %+v, want %+v", id, bus.ParseVersion(got.version), bus.ParseVersion(want.version)))
		case got.sum != want.sum:
			damaged = append(damaged, id)
		}
	}
	for id := range stored {
		if _, ok := b.facts[id]; !ok {
			foreign = append(foreign, id)
		}
	}
	if len(missing)+len(older)+len(damaged)+len(foreign) == 0 {
		return nil
	}
	return fmt.Errorf("of %d ids %d are missing %v, %d have another version %v, %d another content %v, %d were never sent %v",
		len(b.facts), len(missing), some(missing), len(older), some(older), len(damaged), some(damaged), len(foreign), some(foreign))
}

func some(all []string) []string { return all[:min(len(all), 5)] }

// load is a stream of sign-ins into a hub.
type load struct {
	first, count int
	perMessage   int
	bytes        int     // of a record, if more than usual
	rate         float64 // records a second; 0 is as fast as can be
	// again is after how many messages one is sent a second time with another content, elsewhere; 0 is never.
	again int
	// until, if set, ends the load before count is reached once it is closed.
	until <-chan struct{}
}

// send sends the load to the partitions in turn and books it.
func (b *books) send(ctx context.Context, h *hub, l load) error {
	began := time.Now()
	messages := 0
	for n := l.first; n < l.first+l.count && !isClosed(l.until); n += l.perMessage {
		if l.rate > 0 {
			due := time.Duration(float64(n-l.first) / l.rate * float64(time.Second))
			if err := pause(ctx, time.Until(began.Add(due))); err != nil {
				return err
			}
		}
		numbers := min(l.perMessage, l.first+l.count-n)
		if err := b.sendOne(ctx, h, messages%partitions, l, n, numbers, 0); err != nil {
			return err
		}
		messages++
		if l.again > 0 && messages%l.again == 0 {
			if err := b.sendOne(ctx, h, (messages+1)%partitions, l, n, numbers, messages); err != nil {
				return err
			}
		}
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false // a nil channel, too
	}
}

func (b *books) sendOne(ctx context.Context, h *hub, partition int, l load, first, count, revision int) error {
	records := make([]record, count)
	for i := range records {
		records[i] = signIn(tenant, first+i, revision, l.bytes)
	}
	at, err := h.append(ctx, partition, message(records...))
	if err != nil {
		return err
	}
	b.enter(at, 0, records...)
	return nil
}
