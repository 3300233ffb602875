package directory

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

const (
	// expiredFor is how long an expired credential is worth telling: an old one left behind is no news.
	expiredFor = 365 * 24 * time.Hour
	// never is the end of what has none.
	never = math.MaxInt64
)

// firstParty are the tenants of Microsoft, whose applications' credentials are nobody else's business.
func firstParty() []string {
	return []string{"f8cdef31-a31e-4b4a-93e4-5f571e91255a", "72f988bf-86f1-41af-91ab-2d7cd011db47"}
}

// applicationsQuery sorts applications by the end of the credential that ends first, of those asked for. Ends are
// milliseconds since 1970.
const applicationsQuery = `SELECT tenant_id, object, id, app_id, display_name, created_at, soonest,
		arrayMap(i -> key_ids[i], places), arrayMap(i -> kinds[i], places), arrayMap(i -> names[i], places), arrayMap(i -> hints[i], places),
		arrayMap(i -> usages[i], places), arrayMap(i -> marks[i], places), arrayMap(i -> starts[i], places), arrayMap(i -> ends[i], places)
	FROM (
		SELECT *, arrayMap(e -> ifNull(toUnixTimestamp64Milli(e), {never:Int64}), ends) AS times,
			arraySort(i -> (times[i], key_ids[i], usages[i]), arrayFilter(i -> NOT {expiring:Bool} OR times[i] BETWEEN {from:Int64} AND {to:Int64},
				arrayEnumerate(key_ids))) AS places,
			if(empty(places), {never:Int64}, times[places[1]]) AS soonest
		FROM (
			SELECT tenant_id, object, id, app_id, display_name, created_at, credentials.key_id AS key_ids, credentials.kind AS kinds,
				credentials.display_name AS names, credentials.hint AS hints, credentials.usage AS usages,
				credentials.custom_key_identifier AS marks, credentials.starts_at AS starts, credentials.ends_at AS ends
			FROM applications WHERE ` + inTenants + `
			UNION ALL
			SELECT tenant_id, object, id, app_id, display_name, created_at, credentials.key_id, credentials.kind,
				credentials.display_name, credentials.hint, credentials.usage,
				credentials.custom_key_identifier, credentials.starts_at, credentials.ends_at
			FROM service_principals WHERE ` + inTenants + ` AND notEmpty(credentials.key_id)
				AND service_principal_type != 'ManagedIdentity' AND app_owner_organization_id NOT IN {first_party:Array(String)}
		)
		WHERE {text:String} = '' OR id = lowerUTF8({text:String}) OR app_id = lowerUTF8({text:String})
			OR positionCaseInsensitiveUTF8(display_name, {text:String}) > 0
	)
	WHERE (NOT {expiring:Bool} OR notEmpty(places))
		AND (soonest, tenant_id, object, id) > ({after:Int64}, {after_tenant:String}, {after_object:String}, {after_id:String})
	ORDER BY soonest, tenant_id, object, id LIMIT {limit:UInt64}`

// ListApplications returns a page of applications with their credentials.
func (s *Server) ListApplications(ctx context.Context, req *controlv1.ListApplicationsRequest) (*controlv1.ListApplicationsResponse, error) {
	tenants, err := caller.Tenants(ctx, req.GetTenantIds())
	if err != nil {
		return nil, err
	}
	cursor, err := s.open(req, tenants, 4)
	if err != nil {
		return nil, err
	}
	after, err := endOf(cursor[0])
	if err != nil {
		return nil, err
	}
	size, now := pageSize(req), s.set.Clock.Now()
	answer := &controlv1.ListApplicationsResponse{}
	var ends []int64
	err = s.query(ctx, statement{name: "applications", sql: applicationsQuery, params: []any{
		clickhouse.Named("tenants", emptied(tenants)), clickhouse.Named("text", req.GetText()), clickhouse.Named("never", int64(never)),
		clickhouse.Named("first_party", firstParty()), clickhouse.Named("expiring", req.GetExpiringWithin() != nil),
		clickhouse.Named("from", now.Add(-expiredFor).UnixMilli()), clickhouse.Named("to", now.Add(req.GetExpiringWithin().AsDuration()).UnixMilli()),
		clickhouse.Named("after", after), clickhouse.Named("after_tenant", cursor[1]), clickhouse.Named("after_object", cursor[2]),
		clickhouse.Named("after_id", cursor[3]), clickhouse.Named("limit", size+1),
	}}, func(rows driver.Rows) error {
		a, soonest, err := scanApplication(rows)
		answer.Applications, ends = append(answer.Applications, a), append(ends, soonest)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.nameOwners(ctx, tenants, answer.GetApplications()); err != nil {
		return nil, err
	}
	if n := cut(answer.GetApplications(), size, int(s.cfg.PageBytes)); n < len(ends) {
		answer.Applications = answer.GetApplications()[:n]
		last := answer.GetApplications()[n-1]
		answer.NextPageToken, err = s.seal(req, tenants, []string{
			strconv.FormatInt(ends[n-1], 10), last.GetTenantId(), last.GetObject(), last.GetId(),
		})
	}
	return answer, err
}

// endOf reads the end in a cursor; that of a first page is before all.
func endOf(text string) (int64, error) {
	if text == "" {
		return math.MinInt64, nil
	}
	end, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, failure.NewInvalid("page_token", "must be next_page_token of an answer, unchanged")
	}
	return end, nil
}

func scanApplication(rows driver.Rows) (*controlv1.DirectoryApplication, int64, error) {
	var (
		a                                        = &controlv1.DirectoryApplication{}
		created                                  *time.Time
		soonest                                  int64
		keys, kinds, names, hints, usages, marks []string
		starts, ends                             []*time.Time
	)
	err := rows.Scan(&a.TenantId, &a.Object, &a.Id, &a.AppId, &a.DisplayName, &created, &soonest,
		&keys, &kinds, &names, &hints, &usages, &marks, &starts, &ends)
	a.CreatedAt = stamp(created)
	merged := map[string]*controlv1.ApplicationCredential{}
	for i, key := range keys {
		c := &controlv1.ApplicationCredential{
			KeyId: key, Kind: kinds[i], DisplayName: names[i], Hint: hints[i], StartsAt: stamp(starts[i]), EndsAt: stamp(ends[i]),
		}
		saml := a.GetObject() == "service_principal" && marks[i] != "" && ends[i] != nil
		if !saml {
			a.Credentials = append(a.Credentials, c)
			continue
		}
		// A SAML certificate is a key to sign with, one to verify with, and a secret that opens the first.
		part := marks[i] + " " + ends[i].String()
		if first, ok := merged[part]; ok {
			mergeSAML(first, c, usages[i])
			continue
		}
		merged[part] = c
		a.Credentials = append(a.Credentials, c)
	}
	return a, soonest, err
}

const samlCertificate = "saml_certificate"

// mergeSAML makes one of two parts of a SAML certificate.
func mergeSAML(into, part *controlv1.ApplicationCredential, usage string) {
	into.Kind, into.Hint = samlCertificate, ""
	if strings.EqualFold(usage, "Sign") {
		into.KeyId = part.GetKeyId()
	}
	if into.GetDisplayName() == "" {
		into.DisplayName = part.GetDisplayName()
	}
}

const (
	ownersQuery = `SELECT o.tenant_id, o.id, arraySort(groupUniqArray(if(u.user_principal_name = '', o.owner, u.user_principal_name)))
	FROM (SELECT tenant_id, id, arrayJoin(owners.id) AS owner FROM owners WHERE ` + inTenants + ` AND id IN {ids:Array(String)}) AS o
	LEFT JOIN (
		SELECT tenant_id, id, user_principal_name FROM users WHERE ` + inTenants + ` AND id IN (
			SELECT arrayJoin(owners.id) FROM owners WHERE ` + inTenants + ` AND id IN {ids:Array(String)})
	) AS u ON u.tenant_id = o.tenant_id AND u.id = o.owner
	GROUP BY o.tenant_id, o.id`
	lastUseQuery = "SELECT tenant_id, app_id, max(last_sign_in_at) FROM service_principal_activity WHERE " + inTenants +
		" AND app_id IN {apps:Array(String)} GROUP BY tenant_id, app_id"
)

// nameOwners fills in who owns applications, and when they were used last.
func (s *Server) nameOwners(ctx context.Context, tenants []string, apps []*controlv1.DirectoryApplication) error {
	if len(apps) == 0 {
		return nil
	}
	byID, byApp := map[[2]string]*controlv1.DirectoryApplication{}, map[[2]string][]*controlv1.DirectoryApplication{}
	ids, appIDs := make([]string, 0, len(apps)), make([]string, 0, len(apps))
	for _, a := range apps {
		byID[[2]string{a.GetTenantId(), a.GetId()}] = a
		app := [2]string{a.GetTenantId(), a.GetAppId()}
		byApp[app] = append(byApp[app], a)
		ids, appIDs = append(ids, a.GetId()), append(appIDs, a.GetAppId())
	}
	err := s.query(ctx, statement{name: "owners", sql: ownersQuery, params: []any{
		clickhouse.Named("tenants", emptied(tenants)), clickhouse.Named("ids", ids),
	}}, func(rows driver.Rows) error {
		var (
			id     [2]string
			owners []string
		)
		err := rows.Scan(&id[0], &id[1], &owners)
		if a := byID[id]; a != nil {
			a.Owners = owners
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.query(ctx, statement{name: "last_use", sql: lastUseQuery, params: []any{
		clickhouse.Named("tenants", emptied(tenants)), clickhouse.Named("apps", appIDs),
	}}, func(rows driver.Rows) error {
		var (
			app  [2]string
			last *time.Time
		)
		err := rows.Scan(&app[0], &app[1], &last)
		for _, a := range byApp[app] {
			a.LastSignInAt = stamp(last)
		}
		return err
	})
}
