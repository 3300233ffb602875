package graph

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
	"github.com/entraflow/entraflow/services/simulator/entra/odata"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// detailPage answers with what one object has beside its properties.
func (g *Graph) detailPage(c *call) (*answer, *apiError) {
	parent, ok := c.tenant.Directory.Find(c.resource.parent, c.parent)
	if !ok {
		return nil, notFound(c.parent)
	}
	from, err := c.start()
	if err != nil {
		return nil, err
	}
	all := c.tenant.Source.Details(c.resource.detail, parent, c.now)
	isMailbox := c.resource.detail == tenant.MailboxSettings || c.resource.detail == tenant.MessageRules
	if isMailbox && len(c.tenant.Source.Details(tenant.MailboxSettings, parent, c.now)) == 0 {
		return nil, fail(http.StatusNotFound, "MailboxNotEnabledForRESTAPI", "The mailbox is either inactive, soft-deleted, or is hosted on-premise.")
	}
	s := &shape{keep: c.opts.selected}
	p := newPage()
	if c.resource.one {
		s.append(p.buf, all[0])
		return &answer{status: http.StatusOK, body: p}, nil
	}
	p.open(c)
	link := ""
	for i := from.index; i < len(all); i++ {
		if p.count == c.opts.top {
			link = g.nextLink(c, place{index: i})
			break
		}
		if c.tenant.Directory.Stands(all[i]) {
			p.record(s, all[i])
		}
	}
	p.close(link)
	return &answer{status: http.StatusOK, body: p}, nil
}

var registrationFilters = map[string]odata.Property{
	"id": text(eqOnly), "userPrincipalName": text(eqStarts), "userType": text(eqOnly), "isAdmin": flag(), "isMfaCapable": flag(),
	"isMfaRegistered": flag(), "isPasswordlessCapable": flag(), "isSsprRegistered": flag(), "methodsRegistered/any": text(eqOnly),
}

// registrationRow is the report's row of a user.
func registrationRow(c *call, ref tenant.Ref, user []byte) []byte {
	return c.tenant.Directory.Registration(ref, user, c.admins[ref], c.now)
}

// activityRow is when a service principal was last used.
func activityRow(c *call, ref tenant.Ref, _ []byte) []byte {
	return c.tenant.Directory.Activity(ref, c.now)
}

// deletedPage lists the soft-deleted objects of a type, or answers with one by its id.
func (g *Graph) deletedPage(c *call) (*answer, *apiError) {
	name := c.cast[strings.LastIndexByte(c.cast, '.')+1:]
	from, err := c.start()
	if err != nil {
		return nil, err
	}
	p := newPage()
	s := &shape{keep: c.opts.selected, drop: []string{"signInActivity"}}
	for _, kind := range []tenant.Collection{tenant.Users, tenant.Groups, tenant.Applications, tenant.ServicePrincipals} {
		var all [][]byte
		c.tenant.Directory.Deleted(kind, c.now, func(object []byte) { all = append(all, object) })
		if !strings.EqualFold(name, directory.TypeName(kind)) {
			for _, object := range all {
				if string(jsonwalk.Get(object, "id")) == `"`+c.cast+`"` {
					s.append(p.buf, object)
					return &answer{status: http.StatusOK, body: p}, nil
				}
			}
			continue
		}
		p.open(c)
		link := ""
		for i := from.index; i < len(all); i++ {
			if p.count == c.opts.top {
				link = g.nextLink(c, place{index: i})
				break
			}
			p.record(s, all[i])
		}
		p.close(link)
		return &answer{status: http.StatusOK, body: p}, nil
	}
	p.free()
	return nil, notFound(c.cast)
}

// mailboxRow is a row of the report.
type mailboxRow struct {
	DisplayName       string    `json:"displayName"`
	UserPrincipalName string    `json:"userPrincipalName"`
	CreatedDateTime   time.Time `json:"createdDateTime"`
	ItemCount         int       `json:"itemCount"`
	Bytes             int       `json:"bytes"`
	RecipientType     string    `json:"recipientType"`
}

// eachMailbox goes through the users from an index on and yields those who have a mailbox, until yield returns false. It
// returns the index behind the last, and whether there are no more.
func (c *call) eachMailbox(from int, yield func(m mailboxRow) bool) (next int, done bool) {
	return c.tenant.Directory.Each(tenant.Users, from, maxFar*10, c.now, func(ref tenant.Ref, user []byte) bool {
		all := c.tenant.Source.Details(tenant.MailboxUsage, ref, c.now)
		if len(all) == 0 {
			return true
		}
		var m mailboxRow
		if json.Unmarshal(user, &m) != nil || json.Unmarshal(all[0], &m) != nil {
			return true
		}
		return yield(m)
	})
}

// refreshed is how late the report is.
func (c *call) refreshed() string {
	const late = 48 * time.Hour
	return c.now.Add(-late).UTC().Format(time.DateOnly)
}

func (c *call) period() string {
	_, period, _ := strings.Cut(c.resource.path, "'D")
	return strings.TrimSuffix(period, "')")
}

// mailboxUsage is the report: as text, or of beta as JSON if that is asked for.
func (g *Graph) mailboxUsage(c *call) (*answer, *apiError) {
	if c.beta && strings.EqualFold(c.r.URL.Query().Get("$format"), "application/json") {
		return g.mailboxUsageJSON(c)
	}
	return c.mailboxUsageText()
}

// mailboxUsageText is the report as text. Graph answers 302 to a host of its own, which clients follow without noticing;
// here it comes at once.
func (c *call) mailboxUsageText() (*answer, *apiError) {
	p := newPage()
	w := csv.NewWriter(p.buf)
	header := strings.Split("Report Refresh Date,User Principal Name,Display Name,Is Deleted,Deleted Date,Created Date,Last Activity Date,Item Count,"+
		"Storage Used (Byte),Issue Warning Quota (Byte),Prohibit Send Quota (Byte),Prohibit Send/Receive Quota (Byte),Deleted Item Count,"+
		"Deleted Item Size (Byte),Deleted Item Quota (Byte),Has Archive,Recipient Type,Report Period", ",")
	_ = w.Write(header) // a buffer takes everything
	c.eachMailbox(0, func(m mailboxRow) bool {
		_ = w.Write([]string{
			c.refreshed(), m.UserPrincipalName, m.DisplayName, "False", "", m.CreatedDateTime.UTC().Format(time.DateOnly), c.refreshed(),
			strconv.Itoa(m.ItemCount), strconv.Itoa(m.Bytes), "53150220288", "53687091200", "55834574848", "0", "0", "32212254720",
			"False", m.RecipientType, c.period(),
		})
		return true
	})
	w.Flush()
	return &answer{status: http.StatusOK, body: p, contentType: "application/octet-stream"}, nil
}

// mailboxUsageJSON is the report as beta has it, in pages.
func (g *Graph) mailboxUsageJSON(c *call) (*answer, *apiError) {
	const rows = 200
	from, err := c.start()
	if err != nil {
		return nil, err
	}
	p := newPage()
	p.open(c)
	next, done := c.eachMailbox(from.index, func(m mailboxRow) bool {
		text, _ := json.Marshal(map[string]any{ // of texts and numbers: it cannot fail
			"reportRefreshDate": c.refreshed(), "reportPeriod": c.period(), "userPrincipalName": m.UserPrincipalName, "displayName": m.DisplayName,
			"isDeleted": false, "deletedDate": nil, "createdDate": m.CreatedDateTime.UTC().Format(time.DateOnly), "lastActivityDate": c.refreshed(),
			"itemCount": m.ItemCount, "storageUsedInBytes": m.Bytes, "hasArchive": false, "recipientType": m.RecipientType,
		})
		p.record(&shape{}, text)
		return p.count < rows
	})
	link := ""
	if !done {
		link = g.nextLink(c, place{index: next})
	}
	p.close(link)
	return &answer{status: http.StatusOK, body: p}, nil
}
