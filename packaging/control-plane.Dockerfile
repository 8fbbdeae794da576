# The control plane: one static program, no system around it, no root. `make release` writes the same
# image as an OCI layout without an engine; this is for those who build with one:
#   docker build -f dist/control-plane.Dockerfile dist
FROM scratch
COPY --chmod=0555 clampd-control-plane /clampd-control-plane
# What a new volume at /data begins as: owned by who writes it.
COPY --chown=65532:65532 --chmod=0700 data /data
USER 65532:65532
ENV CLAMPD_DATA=/data CLAMPD_LISTEN=0.0.0.0:3001
VOLUME /data
EXPOSE 3001
ENTRYPOINT ["/clampd-control-plane"]
CMD ["serve"]
