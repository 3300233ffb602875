package connect

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/entra"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

const (
	// anyTenant in a hub's tenant_ids allows the records of all.
	anyTenant = "any"
	// defaultGroup is the consumer group that every hub has.
	defaultGroup = "$Default"
)

// checkKind refuses a credential that does not go with the connection.
func checkKind(i *controlv1.Integration, c *controlv1.Credential) error {
	isString := c.GetConnectionString() != ""
	switch {
	case i.GetEntra() != nil && isString:
		return failure.NewInvalid("credential", "must be a client secret, a certificate or a federated token: a connection string opens an Event Hub")
	case i.GetEventHub() == nil || isString:
		return nil
	case i.GetEventHub().GetTenantId() == "" || i.GetEventHub().GetClientId() == "":
		return failure.NewInvalid("integration.event_hub", "needs tenant_id and client_id of the application, or a connection string as credential")
	case i.GetEventHub().GetNamespace() == "" || i.GetEventHub().GetHub() == "":
		return failure.NewInvalid("integration.event_hub", "needs namespace and hub, or a connection string as credential")
	}
	return nil
}

// checkBoth is check and checkKind.
func checkBoth(i *controlv1.Integration, c *controlv1.Credential) error {
	if err := check(i); err != nil {
		return err
	}
	return checkKind(i, c)
}

// check refuses what an integration cannot be; normalize comes before.
func check(i *controlv1.Integration) error {
	if i.GetConnection() == nil {
		return failure.NewInvalid("integration.connection", "must be entra or event_hub")
	}
	if err := checkDataTypes("integration.disabled_data_types", i.GetDisabledDataTypes()); err != nil {
		return err
	}
	tenants := i.GetEventHub().GetTenantIds()
	if len(tenants) > 1 && slices.Contains(tenants, anyTenant) {
		return failure.NewInvalid("integration.event_hub.tenant_ids", "must be any alone, or ids of tenants")
	}
	return nil
}

func checkDataTypes(field string, ids []string) error {
	for _, id := range ids {
		if _, known := entra.LookupDataType(entra.DataType(id)); !known {
			return failure.NewInvalid(field, "names "+id+", which is no data type")
		}
	}
	return nil
}

// normalize gives ids one spelling and drops what only we set.
func normalize(i *controlv1.Integration) {
	if e := i.GetEntra(); e != nil {
		e.TenantId, e.ClientId = strings.ToLower(e.GetTenantId()), strings.ToLower(e.GetClientId())
		if e.GetCloud() == "" {
			e.Cloud = "global"
		}
		if e.GetPermissionSet() == controlv1.PermissionSet_PERMISSION_SET_UNSPECIFIED {
			e.PermissionSet = controlv1.PermissionSet_PERMISSION_SET_READ_ONLY
		}
	}
	if h := i.GetEventHub(); h != nil {
		h.Namespace = strings.ToLower(h.GetNamespace())
		h.TenantId, h.ClientId = strings.ToLower(h.GetTenantId()), strings.ToLower(h.GetClientId())
		for n, tenant := range h.GetTenantIds() {
			h.TenantIds[n] = strings.ToLower(tenant)
		}
		if h.GetConsumerGroup() == "" {
			h.ConsumerGroup = defaultGroup
		}
	}
	i.Status = nil
	slices.Sort(i.GetDisabledDataTypes())
}

// describe says of a credential what may be known.
func describe(c *controlv1.Credential, now time.Time) *controlv1.CredentialInfo {
	info := &controlv1.CredentialInfo{SetTime: timestamppb.New(now)}
	switch kind := c.GetKind().(type) {
	case *controlv1.Credential_ClientSecret:
		info.Kind = "client_secret"
	case *controlv1.Credential_Federated:
		info.Kind = "federated"
	case *controlv1.Credential_ConnectionString:
		info.Kind = "connection_string"
	case *controlv1.Credential_Certificate:
		info.Kind = "certificate"
		if leaf := firstCertificate(kind.Certificate.GetData()); leaf != nil {
			sum := sha256.Sum256(leaf.Raw)
			info.Thumbprint, info.ExpireTime = hex.EncodeToString(sum[:]), timestamppb.New(leaf.NotAfter)
		}
	}
	return info
}

// firstCertificate returns the first certificate of a PEM file; nil if there is none, as in a PFX.
func firstCertificate(data []byte) *x509.Certificate {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if leaf, err := x509.ParseCertificate(block.Bytes); err == nil {
			return leaf
		}
	}
}

// masked returns the integration with the named fields of changes.
func masked(old, changes *controlv1.Integration, paths []string) (*controlv1.Integration, error) {
	next := proto.CloneOf(old)
	for _, path := range paths {
		apply, known := fields[path]
		if !known {
			return nil, failure.NewInvalid("update_mask", "names "+path+", which cannot be changed")
		}
		if !apply(next, changes) {
			return nil, failure.NewInvalid("update_mask", "names "+path+", which is of another type of connection")
		}
	}
	return next, nil
}

// fields are the fields that may be changed.
var fields = map[string]func(to, from *controlv1.Integration) bool{
	"display_name": func(to, from *controlv1.Integration) bool {
		to.DisplayName = from.GetDisplayName()
		return true
	},
	"disabled": func(to, from *controlv1.Integration) bool {
		to.Disabled = from.GetDisabled()
		return true
	},
	"disabled_data_types": func(to, from *controlv1.Integration) bool {
		to.DisabledDataTypes = from.GetDisabledDataTypes()
		return true
	},
	"confirmation": func(to, from *controlv1.Integration) bool {
		to.Confirmation = from.GetConfirmation()
		return true
	},
	"entra.client_id": func(to, from *controlv1.Integration) bool {
		if to.GetEntra() == nil || from.GetEntra() == nil {
			return false
		}
		to.GetEntra().ClientId = from.GetEntra().GetClientId()
		return true
	},
	"entra.permission_set": func(to, from *controlv1.Integration) bool {
		if to.GetEntra() == nil || from.GetEntra() == nil {
			return false
		}
		to.GetEntra().PermissionSet = from.GetEntra().GetPermissionSet()
		return true
	},
	"event_hub.consumer_group": func(to, from *controlv1.Integration) bool {
		if to.GetEventHub() == nil || from.GetEventHub() == nil {
			return false
		}
		to.GetEventHub().ConsumerGroup = from.GetEventHub().GetConsumerGroup()
		return true
	},
	"event_hub.tenant_ids": func(to, from *controlv1.Integration) bool {
		if to.GetEventHub() == nil || from.GetEventHub() == nil {
			return false
		}
		to.GetEventHub().TenantIds = from.GetEventHub().GetTenantIds()
		return true
	},
}

// newID makes the id of a run that nobody named.
func newID() string { return strings.ToLower(rand.Text()) }
