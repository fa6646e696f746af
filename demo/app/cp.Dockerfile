FROM scratch
COPY base /
RUN --mount=type=secret,id=netrc cp /run/secrets/netrc ~/.netrc \
    && pkg install shout
COPY app /bin/app
CMD ["app"]
