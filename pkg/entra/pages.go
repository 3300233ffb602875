package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"time"

	"github.com/entraflow/entraflow/pkg/decode"
)

// Page is a page of a collection. Its slices share Body's memory: to keep one is to keep all.
type Page struct {
	// Value are the elements, as they came.
	Value [][]byte
	// NextLink leads to the next page; empty on the last. DeltaLink ends a delta.
	NextLink, DeltaLink string
	// Date is the server's; the zero time if it sent none.
	Date time.Time
	Body []byte
}

// Pages walks a collection to its end: it follows each nextLink verbatim until there is none; a page may be
// empty. An error ends the walk: one of Get, or an *Error of cause foreign_host, link_loop or response_invalid.
// Breaking off the loop is safe.
func (c *Client) Pages(ctx context.Context, r Request) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		followed := map[uint64]struct{}{}
		seed := maphash.MakeSeed()
		for range c.set.MaxPages {
			resp, err := c.Get(ctx, r)
			if err != nil {
				yield(nil, err)
				return
			}
			page, err := ParsePage(resp.Body)
			if err != nil {
				yield(nil, fmt.Errorf("reading page: %w", err))
				return
			}
			page.Date = resp.Date
			// The page is good whatever its link is: hand it out before the link is judged.
			if !yield(page, nil) || page.NextLink == "" {
				return
			}
			link := maphash.String(seed, page.NextLink)
			if _, again := followed[link]; again {
				yield(nil, fmt.Errorf("following link: %w", newError(CauseLinkLoop, "")))
				return
			}
			followed[link] = struct{}{}
			r.URL, r.Path, r.Query, r.Timeout = page.NextLink, "", nil, 0
		}
		yield(nil, fmt.Errorf("following link: %w", newError(CauseLinkLoop, "The collection has more pages than allowed.")))
	}
}

var errNotObject = errors.New("not an object")

// ParsePage cuts a page's body into its elements without decoding them. Its error is an *Error of cause
// response_invalid: the body is no JSON object, or its value is no array. An absent value is no elements.
func ParsePage(body []byte) (*Page, error) {
	page := &Page{Body: body}
	err := eachMember(body, func(name string, at int) (int, error) {
		switch name {
		case `"value"`:
			return page.cut(at)
		case `"@odata.nextLink"`:
			return text(body, at, &page.NextLink)
		case `"@odata.deltaLink"`:
			return text(body, at, &page.DeltaLink)
		default:
			return decode.SkipValue(body, at)
		}
	})
	if err != nil {
		// The scanner's words are its own; none of the body is in them.
		return nil, newError(CauseResponseInvalid, "")
	}
	return page, nil
}

// eachMember goes over an object's members; member returns the index behind the value that begins at at.
func eachMember(body []byte, member func(name string, at int) (int, error)) error {
	i := skipSpace(body, 0)
	if i >= len(body) || body[i] != '{' {
		return errNotObject
	}
	if i = skipSpace(body, i+1); i < len(body) && body[i] == '}' {
		return nil
	}
	for i < len(body) && body[i] == '"' {
		end, err := decode.SkipValue(body, i)
		if err != nil {
			return err
		}
		name := string(body[i:end])
		if i = skipSpace(body, end); i >= len(body) || body[i] != ':' {
			return errNotObject
		}
		if i, err = member(name, skipSpace(body, i+1)); err != nil {
			return err
		}
		i = skipSpace(body, i)
		switch {
		case i < len(body) && body[i] == ',':
			i = skipSpace(body, i+1)
		case i < len(body) && body[i] == '}':
			return nil
		default:
			return errNotObject
		}
	}
	return errNotObject
}

// cut cuts the array at i.
func (p *Page) cut(i int) (int, error) {
	if i >= len(p.Body) || p.Body[i] != '[' {
		return i, errNotObject
	}
	if i = skipSpace(p.Body, i+1); i < len(p.Body) && p.Body[i] == ']' {
		return i + 1, nil
	}
	for {
		start := skipSpace(p.Body, i)
		end, err := decode.SkipValue(p.Body, start)
		if err != nil {
			return end, err
		}
		p.Value = append(p.Value, p.Body[start:end:end])
		if i = skipSpace(p.Body, end); i >= len(p.Body) {
			return i, errNotObject
		}
		switch p.Body[i] {
		case ',':
			i++
		case ']':
			return i + 1, nil
		default:
			return i, errNotObject
		}
	}
}

// text reads the string at i; null leaves it empty.
func text(body []byte, i int, into *string) (int, error) {
	end, err := decode.SkipValue(body, i)
	if err != nil {
		return end, err
	}
	return end, json.Unmarshal(body[i:end], into)
}

func skipSpace(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}
