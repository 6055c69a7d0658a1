# All programs, static, and nothing else, run as nobody in particular. The image runs sluiced; the others
# are beside it:
#   docker run --entrypoint /bin/sluice IMAGE status
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
# time/tzdata is built in: windows and calendars name zones, and the image has none.
RUN CGO_ENABLED=0 go build -tags timetzdata -trimpath -buildvcs=false \
      -ldflags "-s -w -X github.com/prometheus/common/version.Version=${VERSION}" -o /out/bin/ ./cmd/... \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/bin/ /bin/
COPY --from=build --chown=65532:65532 /out/data /var/lib/sluice
USER 65532:65532
VOLUME /var/lib/sluice
ENTRYPOINT ["/bin/sluiced"]
CMD ["--config.file=/etc/sluice/sluiced.yml"]
