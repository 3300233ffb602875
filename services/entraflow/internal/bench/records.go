package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// recordSize is how large the records are.
type recordSize int

const (
	// sizeCommon is a sign-in of 1.1 KB.
	sizeCommon recordSize = 1100
	// sizeLarge is a sign-in of 6 KB, with the results of Conditional Access.
	sizeLarge recordSize = 6000
)

func (s recordSize) String() string {
	if s == sizeLarge {
		return "6 KB"
	}
	return "1.1 KB"
}

// name is the size in names of measurements.
func (s recordSize) name() string {
	if s == sizeLarge {
		return "large"
	}
	return "common"
}

const commonRecord = `{"time":"%[2]s","operationName":"Sign-in activity","category":"SignInLogs","tenantId":"%[3]s","resultType":"0","callerIpAddress":"203.0.113.%[4]d","properties":{"id":"%[1]s","createdDateTime":"%[2]s","userPrincipalName":"user%[5]d@example.com","userId":"11111111-0000-4000-8000-%012[5]d","appId":"c44b4083-3bb0-49c1-b47d-974e53cbdf3c","appDisplayName":"Azure Portal","ipAddress":"203.0.113.%[4]d","status":{"errorCode":0},"clientAppUsed":"Browser","deviceDetail":{"deviceId":"22222222-0000-4000-8000-%012[5]d","operatingSystem":"MacOs","browser":"Safari 18.0"},"location":{"city":"Stockholm","countryOrRegion":"SE"},"correlationId":"%[1]s","conditionalAccessStatus":"success","isInteractive":true,"authenticationRequirement":"multiFactorAuthentication","signInEventTypes":["interactiveUser"],"resourceDisplayName":"Microsoft Graph","resourceId":"00000003-0000-0000-c000-000000000000","userType":"Member","autonomousSystemNumber":64496%[6]s}}`

const policyResult = `{"id":"33333333-0000-4000-8000-%012d","displayName":"Require multifactor authentication for group %d of all users","enforcedGrantControls":["Mfa"],"enforcedSessionControls":["SignInFrequency"],"result":"notApplied","conditionsSatisfied":3,"conditionsNotSatisfied":16}`

// record makes the sign-in number n of the size.
func record(n int, size recordSize, at time.Time) string {
	more := ""
	if size == sizeLarge {
		policies := make([]string, 0, 20)
		for i := range 17 {
			policies = append(policies, fmt.Sprintf(policyResult, i, i))
		}
		more = `,"appliedConditionalAccessPolicies":[` + strings.Join(policies, ",") + "]"
	}
	id := fmt.Sprintf("5b0c9c5e-%04x-4000-8000-%012x", n>>32&0xFFFF, n)
	text := fmt.Sprintf(commonRecord, id, at.UTC().Format("2006-01-02T15:04:05.0000000Z"), tenant, n%250, n%20_000, more)
	const pad = `,"userAgent":"Mozilla/5.0 `
	if missing := int(size) - len(text) - len(pad) - len(`"`); missing > 0 {
		// The user agent fills up to the size.
		text = strings.TrimSuffix(text, "}}") + pad + strings.Repeat("x", missing) + `"}}`
	}
	return text
}

// message makes one hub message of records [from, from+count).
func message(from, count int, size recordSize, at time.Time) []byte {
	var b bytes.Buffer
	b.WriteString(`{"records":[`)
	for i := range count {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(record(from+i, size, at.Add(time.Duration(i)*time.Millisecond)))
	}
	b.WriteString("]}")
	return b.Bytes()
}

// fill sends o.Records records to the hub's partitions in turn.
func (w *world) fill(ctx context.Context, o Options, size recordSize) error {
	producer, err := azeventhubs.NewProducerClientFromConnectionString(w.connection, hubName, nil)
	if err != nil {
		return fmt.Errorf("connecting to hub: %w", err)
	}
	defer producer.Close(ctx) //nolint:errcheck // everything was acknowledged
	at := time.Now()
	perMessage := min(o.PerMessage, 900_000/int(size))
	for sent, turn := 0, 0; sent < o.Records; turn++ {
		count := min(perMessage, o.Records-sent)
		body := message(sent, count, size, at)
		if err := send(ctx, producer, turn%partitions, body); err != nil {
			return err
		}
		sent += count
	}
	return nil
}

func send(ctx context.Context, producer *azeventhubs.ProducerClient, partition int, body []byte) error {
	batch, err := producer.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: new(strconv.Itoa(partition))})
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if err := batch.AddEventData(&azeventhubs.EventData{Body: body}, nil); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if err := producer.SendEventDataBatch(ctx, batch, nil); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("sending: %w", err)
	}
	return ctx.Err()
}
