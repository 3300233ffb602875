package directory

import (
	"context"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	population "github.com/entraflow/entraflow/pkg/clickhouse/directory"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
)

// userColumns is the SELECT list that scanUser reads.
const userColumns = "tenant_id, id, user_principal_name, display_name, mail, user_type, account_enabled, department, job_title," +
	" created_at, last_password_change_at, manager_id, observed_at, user_key, certificate_user_ids"

// user is a row of users.
type user struct {
	*controlv1.DirectoryUser

	key          string // its place in the order
	certificates []string
}

func scanUser(rows driver.Rows) (user, error) {
	var (
		u                 = user{DirectoryUser: &controlv1.DirectoryUser{}}
		created, password *time.Time
		observed          time.Time
	)
	err := rows.Scan(&u.TenantId, &u.Id, &u.UserPrincipalName, &u.DisplayName, &u.Mail, &u.UserType, &u.AccountEnabled, &u.Department,
		&u.JobTitle, &created, &password, &u.ManagerId, &observed, &u.key, &u.certificates)
	u.CreatedAt, u.LastPasswordChangeAt, u.ObservedAt = stamp(created), stamp(password), timestamppb.New(observed)
	return u, err
}

// usersQuery finds a page of users in the order of tenants and names.
const usersQuery = "SELECT " + userColumns + " FROM users WHERE " + inTenants +
	" AND (tenant_id, user_key, id) > ({after_tenant:String}, {after_key:String}, {after_id:String})" +
	" AND ({text:String} = '' OR id = lowerUTF8({text:String}) OR positionCaseInsensitiveUTF8(display_name, {text:String}) > 0" +
	" OR positionCaseInsensitiveUTF8(user_principal_name, {text:String}) > 0 OR positionCaseInsensitiveUTF8(mail, {text:String}) > 0)" +
	" AND ({enabled:String} = '' OR account_enabled = ({enabled:String} = 'yes'))" +
	" AND ({user_type:String} = '' OR user_type = {user_type:String})"

const (
	usersOrder = " ORDER BY tenant_id, user_key, id LIMIT {limit:UInt64}"
	// ofClasses restricts to users that are all of the classes; everybody has to be classified for it.
	ofClasses = " AND (tenant_id, id) IN (SELECT tenant_id, id FROM classified WHERE hasAll(classes, {classes:Array(String)}))"
)

// SearchUsers returns a page of users.
func (s *Server) SearchUsers(ctx context.Context, req *controlv1.SearchUsersRequest) (*controlv1.SearchUsersResponse, error) {
	tenants, err := caller.Tenants(ctx, req.GetTenantIds())
	if err != nil {
		return nil, err
	}
	cursor, err := s.open(req, tenants, 3)
	if err != nil {
		return nil, err
	}
	size := pageSize(req)
	users, err := s.users(ctx, usersStatement(s.population(tenants), req, cursor, size+1))
	if err != nil {
		return nil, err
	}
	if err := s.classify(ctx, tenants, users); err != nil {
		return nil, err
	}
	answer := &controlv1.SearchUsersResponse{}
	for _, u := range users {
		answer.Users = append(answer.Users, u.DirectoryUser)
	}
	if n := cut(answer.GetUsers(), size, int(s.cfg.PageBytes)); n < len(users) {
		last := users[n-1]
		answer.Users = answer.GetUsers()[:n]
		answer.NextPageToken, err = s.seal(req, tenants, []string{last.GetTenantId(), last.key, last.GetId()})
	}
	return answer, err
}

func usersStatement(everybody population.Population, req *controlv1.SearchUsersRequest, cursor []string, limit int) statement {
	enabled := ""
	if req.AccountEnabled != nil {
		enabled = map[bool]string{true: "yes", false: "no"}[req.GetAccountEnabled()]
	}
	q := statement{name: "users", sql: usersQuery, params: []any{
		clickhouse.Named("after_tenant", cursor[0]), clickhouse.Named("after_key", cursor[1]), clickhouse.Named("after_id", cursor[2]),
		clickhouse.Named("text", req.GetText()), clickhouse.Named("enabled", enabled), clickhouse.Named("user_type", req.GetUserType()),
		clickhouse.Named("limit", limit),
	}}
	if len(req.GetClasses()) == 0 {
		q.sql += usersOrder
		q.params = append(q.params, clickhouse.Named("tenants", emptied(everybody.Tenants)))
		return q
	}
	classes := make([]string, 0, len(req.GetClasses()))
	for _, class := range req.GetClasses() {
		classes = append(classes, className(class))
	}
	q.name, q.sql = "classes", population.PopulationSQL+q.sql+ofClasses+usersOrder
	q.params = append(append(q.params, clickhouse.Named("classes", classes)), everybody.Params()...)
	return q
}

func (s *Server) users(ctx context.Context, q statement) ([]user, error) {
	var users []user
	err := s.query(ctx, q, func(rows driver.Rows) error {
		u, err := scanUser(rows)
		users = append(users, u)
		return err
	})
	return users, err
}

// population is who is asked about.
func (s *Server) population(tenants []string) population.Population {
	return population.Population{Tenants: tenants, Rules: s.cfg.Rules, Now: s.set.Clock.Now()}
}

// classifiedQuery reads what users are and when they signed in last.
const classifiedQuery = "SELECT c.tenant_id, c.id, arrayMap(r -> r.1, c.reasons), arrayMap(r -> r.2, c.reasons)," +
	" a.last_sign_in_at, a.last_non_interactive_sign_in_at, a.last_successful_sign_in_at FROM classified AS c" +
	" LEFT JOIN (SELECT * FROM user_activity WHERE id IN {user_ids:Array(String)}) AS a ON a.tenant_id = c.tenant_id AND a.id = c.id"

// classify fills in the classes and the last sign-ins of users.
func (s *Server) classify(ctx context.Context, tenants []string, users []user) error {
	if len(users) == 0 {
		return nil
	}
	who := s.population(tenants)
	byID := make(map[[2]string]user, len(users))
	for _, u := range users {
		who.Users = append(who.Users, u.GetId())
		byID[[2]string{u.GetTenantId(), u.GetId()}] = u
	}
	q := statement{name: "classified", sql: population.PopulationSQL + classifiedQuery, params: who.Params()}
	return s.query(ctx, q, func(rows driver.Rows) error {
		var (
			id                                   [2]string
			classes, reasons                     []string
			interactive, nonInteractive, success *time.Time
		)
		err := rows.Scan(&id[0], &id[1], &classes, &reasons, &interactive, &nonInteractive, &success)
		if u, ok := byID[id]; ok {
			u.Classes = classifications(classes, reasons)
			u.LastSignInAt, u.LastSuccessfulSignInAt = stamp(later(later(interactive, nonInteractive), success)), stamp(success)
		}
		return err
	})
}

// classifications groups reasons by class, in the order in which classes come.
func classifications(classes, reasons []string) []*controlv1.Classification {
	var found []*controlv1.Classification
	for i, class := range classes {
		if n := len(found); n == 0 || found[n-1].GetClass() != classOf(class) {
			found = append(found, &controlv1.Classification{Class: classOf(class)})
		}
		last := found[len(found)-1]
		last.Reasons = append(last.Reasons, reasons[i])
	}
	return found
}

const classPrefix = "USER_CLASS_"

// className is a class as package population spells it.
func className(class controlv1.UserClass) string {
	return strings.ToLower(strings.TrimPrefix(class.String(), classPrefix))
}

func classOf(name string) controlv1.UserClass {
	return controlv1.UserClass(controlv1.UserClass_value[classPrefix+strings.ToUpper(name)])
}

// emptied is a list that is not nil, which no parameter may be.
func emptied(values []string) []string {
	if values == nil {
		return []string{}
	}
	return values
}
