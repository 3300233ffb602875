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

// mailboxUsage is the report as text. Graph answers 302 to a host of its own, which clients follow without noticing; here
// it comes at once.
func (g *Graph) mailboxUsage(c *call) (*answer, *apiError) {
	p := newPage()
	w := csv.NewWriter(p.buf)
	header := strings.Split("Report Refresh Date,User Principal Name,Display Name,Is Deleted,Deleted Date,Created Date,Last Activity Date,Item Count,"+
		"Storage Used (Byte),Issue Warning Quota (Byte),Prohibit Send Quota (Byte),Prohibit Send/Receive Quota (Byte),Deleted Item Count,"+
		"Deleted Item Size (Byte),Deleted Item Quota (Byte),Has Archive,Recipient Type,Report Period", ",")
	_ = w.Write(header) // a buffer takes everything
	_, period, _ := strings.Cut(c.resource.path, "'D")
	period = strings.TrimSuffix(period, "')")
	const late = 48 * time.Hour
	refreshed := c.now.Add(-late).UTC().Format(time.DateOnly)
	_, _ = c.tenant.Directory.Each(tenant.Users, 0, maxFar*10, c.now, func(ref tenant.Ref, user []byte) bool {
		all := c.tenant.Source.Details(tenant.MailboxUsage, ref, c.now)
		if len(all) == 0 {
			return true
		}
		var u struct {
			DisplayName       string    `json:"displayName"`
			UserPrincipalName string    `json:"userPrincipalName"`
			CreatedDateTime   time.Time `json:"createdDateTime"`
		}
		var usage struct {
			ItemCount     int    `json:"itemCount"`
			Bytes         int    `json:"bytes"`
			RecipientType string `json:"recipientType"`
		}
		if json.Unmarshal(user, &u) == nil && json.Unmarshal(all[0], &usage) == nil {
			_ = w.Write([]string{
				refreshed, u.UserPrincipalName, u.DisplayName, "False", "", u.CreatedDateTime.UTC().Format(time.DateOnly), refreshed,
				strconv.Itoa(usage.ItemCount), strconv.Itoa(usage.Bytes), "53150220288", "53687091200", "55834574848", "0", "0", "32212254720",
				"False", usage.RecipientType, period,
			})
		}
		return true
	})
	w.Flush()
	return &answer{status: http.StatusOK, body: p, contentType: "application/octet-stream"}, nil
}
