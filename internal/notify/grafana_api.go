package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-openapi/runtime"
	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/grafana/grafana-openapi-client-go/client/annotations"
	"github.com/grafana/grafana-openapi-client-go/models"
)

// newAnnotations builds the annotations part of Grafana's client on a
// transport of our own: the client's constructor writes its TLS settings into
// http.DefaultTransport, which belongs to the whole process, and it retries by
// itself, which is the Queue's work.
func newAnnotations(r receiver) annotations.ClientService {
	base := strings.TrimSuffix(r.url.Path, "/") + "/api"
	rt := httptransport.NewWithClient(r.url.Host, base, []string{r.url.Scheme}, &http.Client{
		Transport: r,
		CheckRedirect: func(req *http.Request, _ []*http.Request) error {
			return fmt.Errorf("redirected to %s://%s: expected Grafana's own url", req.URL.Scheme, req.URL.Host)
		},
	})
	rt.DefaultAuthentication = runtime.ClientAuthInfoWriterFunc(func(req runtime.ClientRequest, _ strfmt.Registry) error {
		token, err := r.token()
		if err != nil {
			return err
		}
		return req.SetHeaderParam("Authorization", "Bearer "+token)
	})
	rt.Consumers[runtime.JSONMime] = runtime.ConsumerFunc(func(body io.Reader, into any) error {
		return json.NewDecoder(body).Decode(into)
	})
	return annotations.New(rt, strfmt.Default)
}

// fault turns an error of the generated client into one that can be read and
// says whether another attempt makes sense.
func (g *Grafana) fault(doing string, err error) error {
	status := 0
	said := plain(err).Error()
	if c, ok := err.(interface{ Code() int }); ok {
		status = c.Code()
	}
	if api, ok := errors.AsType[*runtime.APIError](err); ok {
		status, said = api.Code, "no message"
	}
	if p, ok := err.(interface {
		GetPayload() *models.ErrorResponseBody
	}); ok && p.GetPayload() != nil && p.GetPayload().Message != nil {
		said = *p.GetPayload().Message
	}
	if status == 0 {
		return fmt.Errorf("%s: %s: %w", g.safe, doing, plain(err))
	}
	return &Error{Err: fmt.Errorf("%s: %s: status %d: %s", g.safe, doing, status, said), Permanent: refused(status)}
}
